"""The look of the page: light, one column on a narrow screen, no script."""

CSS = """
:root { --s0: #2f6fb0; --s1: #c8702a; --line: #e1e4e8; --pale: #667; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 16px; color: #1c2128; background: #fff;
  font: 15px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 24px; margin: 8px 0; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 32px 0 8px; }
h3 { font-size: 14px; margin: 0 0 4px; font-weight: 600; overflow-wrap: anywhere; }
p, .pale { color: var(--pale); }
.name0 { color: var(--s0); } .name1 { color: var(--s1); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: 3px 16px 3px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; font-weight: 400; overflow-wrap: anywhere; }
thead th { font-weight: 600; }
td { font-variant-numeric: tabular-nums; }
.cards { display: grid; gap: 16px; --card: 300px;
  grid-template-columns: repeat(auto-fill, minmax(min(var(--card), 100%), 1fr)); }
.of2.cards { --card: 560px; }
.card { border: 1px solid var(--line); border-radius: 6px; padding: 10px; min-width: 0; }
.columns { display: grid; gap: 16px 24px;
  grid-template-columns: repeat(auto-fit, minmax(min(240px, 100%), 1fr)); }
.columns > * { min-width: 0; }
.chart { display: block; width: 100%; height: auto; overflow: visible; }
.wide .chart { min-width: 820px; }
.chart text { font-size: 10px; fill: var(--pale); text-anchor: middle; }
.chart text.y { text-anchor: end; }
.chart .grid { stroke: var(--line); fill: none; }
.chart .s0 { fill: var(--s0); } .chart .s1 { fill: var(--s1); }
.chart .hit { fill: transparent; } .chart g:hover .hit { fill: #00000012; }
.toggle { display: inline-block; margin: 0 18px 8px 4px; }
.pictures { display: grid; gap: 12px; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(250px, 100%), 1fr)); }
#large:checked ~ .columns .pictures { grid-template-columns: 1fr; }
figure { margin: 0; min-width: 0; }
figure svg { display: block; width: 100%; height: auto; max-height: 92vh; background: #f3f4f6; }
figcaption { font-size: 12px; overflow-wrap: anywhere; color: var(--pale); }
figcaption b { color: #1c2128; font-size: 14px; } figcaption b.weak { color: #a83c00; }
.word { fill: transparent; stroke: #1fae1f; stroke-width: 1.5px; }
.first { stroke: #ff8c00; stroke-width: 1.5px; }
.start { stroke: #ff8c00; stroke-width: 5px; stroke-linecap: round; }
.ignored .word { stroke: #999; stroke-dasharray: 4 3; }
.word, .first, .start { vector-effect: non-scaling-stroke; }
.words g:hover .word { fill: #1fae1f44; }
#polygons:not(:checked) ~ .columns .words, #ignored:not(:checked) ~ .columns .ignored {
  display: none; }
"""
