from dataclasses import replace

from stages.reporting.words import mistake_in_words
from stages.scoring.mistakes import Mistake

MISTAKE = Mistake(
    row_id=7, sentence="", actual="negative", predicted="positive", confidence=0.9951, num_wrong=4, num_seeds=5
)


def test_of_several_seeds_it_is_told_how_many_were_wrong():
    told = mistake_in_words(MISTAKE).replace("\N{NARROW NO-BREAK SPACE}", " ")
    assert told == ("labelled “negative”, predicted “positive” with probability 99.5 %; wrong with 4 of 5 seeds; row 7")


def test_of_one_seed_there_is_nothing_to_count():
    assert "seed" not in mistake_in_words(replace(MISTAKE, num_wrong=1, num_seeds=1))
