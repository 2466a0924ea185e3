// Numbers as a person reads them. Unknown (null) is always a dash, never a zero.

export const DASH = "–";

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

export function count(value) {
  return known(value) ? grouped.format(value) : DASH;
}

// as count, but in a few characters when the number has many digits
export function compact(value) {
  if (!known(value) || Math.abs(value) < 1e6) return count(value);
  const [size, unit] = Math.abs(value) < 1e9 ? [1e6, "M"] : [1e9, "G"];
  return `${(value / size).toPrecision(3)} ${unit}`;
}

// for the scale of a chart, where there is room for six characters
export function tick(value) {
  if (value < 1e4) return grouped.format(value);
  return value < 1e6 ? `${value / 1e3} k` : `${value / 1e6} M`;
}

export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

export function duration(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds <= 0) return "0 s";
  if (seconds < 0.001) return "< 1 ms";
  if (seconds < 0.995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  return longDuration(Math.round(seconds));
}

function longDuration(seconds) {
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([size]) => seconds >= size);
  const [size, unit] = units[first];
  const head = `${Math.floor(seconds / size)} ${unit}`;
  if (first + 1 === units.length) return head;
  const [smaller, smallUnit] = units[first + 1];
  const rest = Math.floor((seconds % size) / smaller);
  return rest ? `${head} ${rest} ${smallUnit}` : head;
}

// an estimate: no more digits than it deserves
export function about(seconds) {
  if (!known(seconds)) return DASH;
  if (seconds <= 0) return "0 s";
  if (seconds < 1) return "under 1 s";
  if (seconds < 10) return `${Math.round(seconds)} s`;
  if (seconds < 60) return `${Math.ceil(seconds / 5) * 5} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  return longDuration(Math.ceil(seconds / 60) * 60);
}

export function bytes(value) {
  if (!known(value)) return DASH;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let size = value;
  let unit = 0;
  while (size >= 1023.5 && unit + 1 < units.length) {
    size /= 1024;
    unit += 1;
  }
  return `${unit && size < 9.95 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

export function rate(value) {
  if (!known(value)) return DASH;
  if (value < 0.05) return "0/s";
  return value < 9.95 ? `${value.toFixed(1)}/s` : `${compact(value)}/s`;
}

// never 100 % while something is missing
export function percent(share) {
  if (!known(share)) return DASH;
  if (share >= 1) return "100 %";
  return `${Math.min(99.9, share * 100).toFixed(share < 0.1 || share > 0.99 ? 1 : 0)} %`;
}

export function clock(epoch, withSeconds = true) {
  return new Date(epoch * 1000).toLocaleTimeString("en-GB", {
    hour: "2-digit", minute: "2-digit", ...(withSeconds && { second: "2-digit" }),
  });
}

export function moment(epoch) {
  const date = new Date(epoch * 1000);
  return `${date.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}, ${clock(epoch)}`;
}

// messages of the daemon begin in lower case and have no full stop; a file name keeps its case
export function sentence(text) {
  const trimmed = text.trim();
  const begun = /^[a-z]+(?=[\s,:]|$)/.test(trimmed) ? trimmed[0].toUpperCase() + trimmed.slice(1) : trimmed;
  return begun && begun + (/[.!?]$/.test(begun) ? "" : ".");
}
