#!/usr/bin/env bash
# Runs an array job of `python -m stages.study run --on slurm` for real, on a Slurm cluster of one node on this machine.
#
#     apt-get install -y slurmctld slurmd slurm-client munge     # Debian 12: Slurm 22.05
#     tests/slurm/one_node.sh                                    # as root, from the repository, environment active
#
# It starts munged, slurmctld and slurmd on the loopback with all that they write in a temporary folder, makes two cells
# here and the same two by an array in another clone, and compares their scores. It ends what it started.
set -euo pipefail

root=$(git rev-parse --show-toplevel)
work=$(mktemp -d)
daemons=()
trap 'kill "${daemons[@]}" 2>/dev/null || true; wait; rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir -p "$work"/{state,spool,munge}

dd if=/dev/urandom of="$work/munge/key" bs=1 count=1024 status=none
chown -R munge: "$work/munge" && chmod 700 "$work/munge" && chmod 400 "$work/munge/key"
chmod 755 "$work/munge"
setpriv --reuid munge --regid munge --clear-groups munged --foreground --force --key-file "$work/munge/key" \
  --socket "$work/munge/socket" --pid-file "$work/munge/pid" --log-file "$work/munge/log" \
  --seed-file "$work/munge/seed" &
daemons+=($!)

cat > "$work/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$(hostname -s)(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
SlurmUser=root
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldPort=36817
SlurmdPort=36818
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
JobRequeue=1
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
CONF
export SLURM_CONF="$work/slurm.conf"
slurmctld -D -f "$SLURM_CONF" > "$work/slurmctld.log" 2>&1 &
daemons+=($!)
slurmd -D -f "$SLURM_CONF" > "$work/slurmd.log" 2>&1 &
daemons+=($!)
for _ in $(seq 60); do sinfo -h -o %T 2>/dev/null | grep -qx idle && break; sleep 1; done
sinfo -h -o %T | grep -qx idle || { tail -5 "$work"/slurm*.log "$work/munge/log" >&2; exit 1; }

export OMP_NUM_THREADS=1 DVC_NO_ANALYTICS=1
options=(--methods "${METHODS:-tfidf,head}" --sizes "${SIZES:-100}" --seeds "${SEEDS:-1}" --protocol seed)
for name in here array; do
  git clone --quiet "$root" "$work/$name"
done
(cd "$work/here" && python -m stages.study run "${options[@]}")
cd "$work/array"
python -m stages.study run "${options[@]}" --on slurm --cpus 1
script=.dvc/tmp/study/slurm-1/array.sh
sbatch --test-only "$script"
sbatch --wait --parsable "$script" || { tail -n 20 .dvc/tmp/study/slurm-1/element-*.log >&2; exit 1; }
tail -n 20 .dvc/tmp/study/slurm-1/element-*.log
python -m stages.study run "${options[@]}" # must find all of them finished

for name in here array; do
  cd "$work/$name"
  for ref in $(git for-each-ref --format='%(refname)' 'refs/exps/??/*/*' | sort); do
    echo "${ref##*/} $(git rev-parse "$ref:metrics/scores.json")"
  done > "$work/$name.txt"
done
cat "$work/here.txt"
cmp "$work/here.txt" "$work/array.txt" && echo "the scores of the array are the same bit for bit"
