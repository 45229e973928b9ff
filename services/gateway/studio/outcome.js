// What an edit did: its report in words, the transcript's difference, checks, downloads.

import { shown } from "./difference.js";
import { download, element, find } from "./page.js";

/** Shows the outcome of a version, or nothing for a recording that was not edited. */
export function show(version) {
  find("outcome").hidden = !version?.report;
  if (!version?.report) return;
  const { report, plan } = version;
  find("summary").textContent = `${plan?.summary ?? ""} ${report.source_seconds.toFixed(2)} s became ${report.result_seconds.toFixed(2)} s.`;
  find("difference").replaceChildren(...shown(report.transcript_before, report.transcript_after));
  find("checks").hidden = !report.checks.length;
  find("checks").tBodies[0].replaceChildren(...report.checks.map(row));
  find("warnings").replaceChildren(...report.warnings.map((text) => element("li", { textContent: text })));
  find("downloads").replaceChildren(...files(version));
}

function files({ blob, name, report }) {
  const written = new Blob([JSON.stringify(report, null, 2)], { type: "application/json" });
  const signed = report.provenance?.manifest;
  return [
    download("Download the audio", blob, name),
    download("Download the report", written, "report.json"),
    ...(signed ? [download("Download the manifest", new Blob([signed]), "manifest.jws")] : []),
  ];
}

function row(check) {
  const verdict = check.verdict.replace("CHECK_VERDICT_", "").toLowerCase();
  const number = (value) => (verdict === "skipped" ? "–" : `${Number(value.toPrecision(4))} ${check.unit}`.trim());
  return element("tr", {},
    element("td", { textContent: check.name.replaceAll("_", " ") }),
    element("td", { textContent: number(check.expected) }),
    element("td", { textContent: number(check.measured) }),
    element("td", { className: { passed: "passed", failed: "wrong" }[verdict] ?? "", textContent: `${verdict}${check.detail ? `: ${check.detail}` : ""}` }));
}

/** The ranges that an edit changed, in the recording before it and in the one after. */
export const rangesOf = (report) => (report.ranges ?? []).map(({ source, result }) => ({
  source: { start: source.start_seconds, end: source.end_seconds },
  result: { start: result.start_seconds, end: result.end_seconds },
}));
