"""Words that say how a sentence is built and not what it is about; they do not count outside quotes.

Those of English, and those of German, French and Spanish that are seldom words of content in another. All are
in the form of ``tokens``: without accents and apostrophes.
"""

from __future__ import annotations

from collections.abc import Sequence

from smallsight.library.search.query import Unit

_ENGLISH = """
    a about above after again against all also am an and any are arent as at be because been before
    being below between both but by can cant cannot could couldnt did didnt do does doesnt doing
    dont down during each either else ever every few for from further had hadnt has hasnt have
    havent having he hed hell her here heres hers herself hes him himself his how hows i id if ill
    im in into is isnt it itd itll its itself ive just let lets me might more most must my myself
    neither no nor not of off on once only onto or other our ours ourselves out over own per rather
    same shall she shed shes should shouldnt so some such than that thats the their theirs them
    themselves then there theres these they theyd theyll theyre theyve this those through to too
    under until up upon us very was wasnt we wed were werent weve what whats when whens where wheres
    which while who whom whos whose why whys will with within without wont would wouldnt you youd
    youll your youre yours yourself yourselves youve
"""
_GERMAN = """
    aber als auch auf aus bei bin bis da das dass dein dem den der des dich dir durch ein eine einem
    einen einer eines er es fur habe haben hat ich ihm ihn ihr im ist ja kein keine man mein mich
    mir mit nach nicht noch nur ob oder ohne schon sein sich sie sind so uber um und uns unser vom
    von vor wenn wie wir wird zu zum zur
"""
_FRENCH = """
    au aux avec ce ces cet cette dans de du elle en est et il ils je la le les leur lui mais meme
    mes moi nous ou par pas pour que qui se ses ta te toi tu un une vos votre vous
"""
_SPANISH = """
    al como con del el ella ellos esta este esto hay la las lo los mas mi muy nos para pero por
    porque que se si sin sobre su sus tambien te todo tu un una uno y ya yo
"""
FUNCTION_WORDS = frozenset(" ".join((_ENGLISH, _GERMAN, _FRENCH, _SPANISH)).split())


def is_function_word(unit: Unit) -> bool:
    """Return whether a unit is one unquoted word without content."""
    return not unit.is_literal and len(unit.terms) == 1 and unit.terms[0] in FUNCTION_WORDS


def counted_units(units: Sequence[Unit]) -> tuple[Unit, ...]:
    """Return the units with content; all of them when none has any (to be or not to be)."""
    return tuple(unit for unit in units if not is_function_word(unit)) or tuple(units)
