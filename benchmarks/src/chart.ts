/** One bar. */
export interface Bar {
  readonly label: string;
  readonly value: number;
  /** In percent of the value; null if it is not known. */
  readonly spread: number | null;
  /** Drawn in the strong colour. */
  readonly ours: boolean;
}

const labelWidth = 170;
const barWidth = 430;
const rowHeight = 26;
const headHeight = 48;
const width = labelWidth + barWidth + 110;

/** Horizontal bars from zero, the largest on top, as an SVG image that reads well on light and dark pages. */
export function barChart(title: string, unit: string, bars: readonly Bar[]): string {
  const sorted = bars.toSorted((left, right) => right.value - left.value);
  const largest = Math.max(...bars.map(({ value }) => value));
  const height = headHeight + sorted.length * rowHeight + 10;
  const rows = sorted.map((bar, index) => row(bar, headHeight + index * rowHeight, largest));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escape(title)}" font-family="system-ui, sans-serif" font-size="13">
<rect width="${width}" height="${height}" fill="#ffffff"/>
<text x="12" y="22" font-size="15" font-weight="600" fill="#1f2328">${escape(title)}</text>
<text x="12" y="39" font-size="12" fill="#59636e">${escape(unit)}; the thin line is the spread</text>
${rows.join("\n")}
</svg>
`;
}

function row({ label, value, spread, ours }: Bar, top: number, largest: number): string {
  const length = (value / largest) * barWidth;
  const middle = top + rowHeight / 2;
  const reach = spread === null ? 0 : (length * spread) / 100;
  const end = labelWidth + length;
  const line = `<line x1="${(end - reach).toFixed(1)}" x2="${(end + reach).toFixed(1)}" y1="${middle}" y2="${middle}" stroke="#1f2328"/>`;
  return [
    `<text x="${labelWidth - 8}" y="${middle + 4}" text-anchor="end" fill="#1f2328">${escape(label)}</text>`,
    `<rect x="${labelWidth}" y="${top + 4}" width="${length.toFixed(1)}" height="${rowHeight - 8}" fill="${ours ? "#0969da" : "#9aa4af"}"/>`,
    ...(reach > 0 ? [line] : []),
    `<text x="${(end + reach + 8).toFixed(1)}" y="${middle + 4}" fill="#1f2328">${value.toLocaleString("en", { maximumSignificantDigits: 4 })}</text>`,
  ].join("");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
