"""A fixed bank of everyday words, with which all other words are compared."""

from __future__ import annotations

import hashlib

# Things, places, people, papers and screens, as people type them: few of them are true of any one picture.
EVERYDAY_TEXTS = tuple(
    one.strip()
    for one in """
    cat|dog|horse|cow|bird|owl|fish|insect|butterfly|snake|monkey|elephant|sheep|tree|forest|flower|grass
    leaves|fruit|vegetables|mushroom|mountain|hill|valley|river|lake|waterfall|sea|beach|island|desert
    field|garden|park|sky|clouds|sun|moon|stars|rain|snow|ice|fog|fire|smoke|rainbow|sunset|night|man
    woman|child|baby|old person|face|crowd|couple|friends at a table|family|team|bride|singer|dancer
    soldier|doctor|cook|hand|foot|eye|hair|smile|car|bus|train|bicycle|motorcycle|truck|ship|small boat
    aeroplane|helicopter|rocket|road|bridge|tunnel|railway station|airport|harbour|street|city|village
    house|tall building|castle|church|temple|school|hospital|factory|shop|market|restaurant|hotel|museum
    stadium|kitchen|bathroom|bedroom|living room|office|staircase|window|door|wall|chair|table|bed|sofa
    lamp|mirror|shelf|box|bag|bottle|cup of coffee|glass of wine|bread|cake|pizza|soup|meat|egg|ice cream
    shirt|dress|shoes|hat|glasses|watch|ring|umbrella|ball|toy|doll|guitar|piano|drum|book|newspaper
    letter|map|poster|sign|ticket|money|receipt|form|table of numbers|diagram|chart|handwriting
    page of text|screenshot of a chat|web page|computer|phone|camera|television|keyboard|robot|tool|knife
    key|clock|machine|painting|drawing|cartoon|statue|logo|flag|pattern
    """.strip()
    .replace("\n", "|")
    .split("|")
)
EVERYDAY_KEY = hashlib.sha256("\n".join(EVERYDAY_TEXTS).encode()).hexdigest()[:12]
