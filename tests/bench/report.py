"""What became of a run of the bench, for people: a table in the terminal, one for the README, and a chart."""

import re
from xml.sax.saxutils import escape

OURS = "this framework"
CPU, MEMORY = "µs of CPU", "KiB"

# What each case is, in words, and what is counted.
CASES = {
    "64x125x1": ("Echo, 125 bytes", "per message", CPU),
    "64x125x8": ("Echo, 125 bytes, 8 at once", "per message", CPU),
    "64x1024x1": ("Echo, 1 KiB", "per message", CPU),
    "64x65536x1": ("Echo, 64 KiB", "per message", CPU),
    "plain": ("Echo, 1 KiB of JSON", "per message", CPU),
    "compressed": ("Echo, 1 KiB of JSON, compressed", "per message", CPU),
    "1000x1": ("Broadcast to 1,000", "per delivery", CPU),
    "1000x8": ("Broadcast to 1,000, 8 at once", "per delivery", CPU),
    "10000x1": ("Broadcast to 10,000", "per delivery", CPU),
    "handshake": ("Handshake", "per connection", CPU),
    "10000x125": ("Idle connection", "per connection", MEMORY),
    "500x1048576": ("Idle after a message of 1 MiB", "per connection", MEMORY),
}
CHARTED = ["64x125x1", "64x125x8", "64x65536x1", "1000x8", "10000x125", "handshake"]
# Columns of the README's table: who is compared, under one name if there is a server for each measure.
COLUMNS = {
    "floor": ["floor"],
    "fastwebsockets": ["fastwebsockets"],
    "tungstenite": ["tungstenite", "tungstenite, channels"],
    "tungstenite, tuned": ["tungstenite, tuned"],
    "axum": ["axum"],
    "yawc": ["yawc", "yawc, compressed"],
    "Bun": ["Bun", "Bun, compressed"],
    "ws": ["ws", "ws, compressed"],
    "Tomcat": ["Tomcat"],
}
BEGIN, END = "<!-- tests/bench/run --publish writes what follows -->", "<!-- until here -->"


def by_case(result):
    """From each case that was measured, in order, to its figures by server."""
    cases = {}
    for case in CASES:
        figures = {figure["server"]: figure for figure in result["figures"] if figure["case"] == case}
        if figures:
            cases[case] = figures
    return cases


def table(result):
    lines = []
    for case, figures in by_case(result).items():
        title, each, unit = CASES[case]
        lines.append(f"\n{title} ({case}): {unit} {each}, median of {result['runs']} (least - most)")
        ours = figures.get(OURS, {}).get("median")
        for name, figure in sorted(figures.items(), key=lambda item: item[1]["median"]):
            line = f"  {name:24}{figure['median']:12.2f}  ({min(figure['runs']):.2f} - {max(figure['runs']):.2f})"
            lines.append(line if name == OURS or not ours else f"{line:56}{figure['median'] / ours:8.2f} times ours")
    return "\n".join(lines)


def ratio(value):
    return f"{value:.2f}" if value < 9.95 else f"{value:.0f}"


def readme_table(result):
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---|" + "---:|" * len(COLUMNS)]
    for case, figures in by_case(result).items():
        if OURS not in figures:
            continue
        cells = []
        for servers in COLUMNS.values():
            there = [figures[name]["median"] for name in servers if name in figures]
            cells.append(ratio(there[0] / figures[OURS]["median"]) if there else "")
        title, _, unit = CASES[case]
        lines.append(f"| {title}{': memory' if unit == MEMORY else ''} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def publish(result, readme):
    """Puts the table where the README says that it stands."""
    machine, versions = result["machine"], result["versions"]
    measured = ", ".join(f"{name} {version}" for name, version in sorted(versions.items(), key=lambda item: item[0].lower()))
    text = "\n".join([
        BEGIN, "",
        readme_table(result), "",
        f"{'One run' if result['runs'] == 1 else 'Medians of %d runs' % result['runs']} on {result['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"Linux {machine['kernel']}. {measured}.", "",
        END,
    ])
    old = readme.read_text()
    if BEGIN not in old:
        raise SystemExit(f"{readme} has no place for the table: {BEGIN}")
    readme.write_text(re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: text, old, flags=re.DOTALL))


# --- the chart ---------------------------------------------------------------------------------------------------------

WIDTH, MARGIN, GAP = 880, 12, 28
ROW, BAR, TITLE, HEAD = 20, 12, 34, 52
LABELS, NUMBERS = 138, 44
# Bars beyond so many times ours are cut off, with their number behind them.
LONGEST = 6

STYLE = """
    text { font: 12px system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #57606a; }
    .head { font-size: 15px; font-weight: 600; fill: #1f2328; }
    .title { font-size: 13px; font-weight: 600; fill: #1f2328; }
    .ours { fill: #0b6e4f; font-weight: 600; }
    .bar { fill: #afb8c1; }
    .bar.us { fill: #1a9c70; }
    .line { stroke: #1a9c70; stroke-width: 1; stroke-dasharray: 2 3; }
    .cut { fill: none; stroke: #ffffff; stroke-width: 2; }
    @media (prefers-color-scheme: dark) {
      text { fill: #9198a1; }
      .head, .title { fill: #f0f6fc; }
      .ours { fill: #4ac99b; }
      .bar { fill: #59636e; }
      .bar.us { fill: #2fb98a; }
      .line { stroke: #2fb98a; }
      .cut { stroke: #0d1117; }
    }
"""


def chart(result):
    cases = {case: figures for case, figures in by_case(result).items() if case in CHARTED and OURS in figures}
    panels = [panel(case, cases[case]) for case in CHARTED if case in cases]
    width = (WIDTH - 2 * MARGIN - GAP) / 2
    parts, top = [], HEAD
    for left, right in zip(panels[::2], panels[1::2] + [None]):
        for place, (height, draw) in enumerate(filter(None, (left, right))):
            parts.append(f'<g transform="translate({MARGIN + place * (width + GAP):.0f} {top})">{draw(width)}</g>')
        top += max(height for height, _ in filter(None, (left, right))) + 14
    about = "CPU time of the server, and memory, as a multiple of this framework's: shorter is less"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" role="img">',
        f"<title>{escape(about)}</title><style>{STYLE}</style>",
        f'<text class="head" x="{MARGIN}" y="26">{escape(about)}</text>',
        *parts,
        "</svg>", "",
    ])


def panel(case, figures):
    """How high it is, and how it is drawn in so much width."""
    title, each, unit = CASES[case]
    ours = figures[OURS]["median"]
    rows = sorted((figure["median"] / ours, name) for name, figure in figures.items())
    longest = min(LONGEST, max(value for value, _ in rows))

    def draw(width):
        scale = (width - LABELS - NUMBERS) / max(longest, 1)
        lines = [f'<text class="title" x="0" y="14">{escape(title)}: {"memory" if unit == MEMORY else "CPU"} {each}</text>']
        for index, (value, name) in enumerate(rows):
            y = TITLE - 10 + index * ROW
            text, bar = ('class="ours"', 'class="bar us"') if name == OURS else ("", 'class="bar"')
            length = max(1, min(value, longest) * scale)
            lines.append(f'<text {text} x="{LABELS - 8}" y="{y + 10}" text-anchor="end">{escape(name)}</text>')
            lines.append(f'<rect {bar} x="{LABELS}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>')
            if value > longest:
                x = LABELS + length - 14
                lines.append(f'<path class="cut" d="M{x:.1f} {y + BAR + 2} l5 -{BAR + 4} m4 0 l-5 {BAR + 4}"/>')
            # Behind the line, so that it crosses no number.
            number = LABELS + max(length, scale) + 6
            lines.append(f'<text {text} x="{number:.1f}" y="{y + 10}">{ratio(value)}</text>')
        x, bottom = LABELS + scale, TITLE - 12 + len(rows) * ROW
        lines.append(f'<path class="line" d="M{x:.1f} {TITLE - 14} V{bottom}"/>')
        return "".join(lines)

    return TITLE + len(rows) * ROW, draw
