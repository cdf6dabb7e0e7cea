/** The cluster as one of its nodes sees it, and that node's actors at work: asked for again and again while somebody looks. */

import { h, keyed, set, write } from "../dom.js";
import { list } from "../frames.js";
import { amount } from "../language.js";
import { History, points, readMetrics } from "../metrics.js";
import { size } from "../sizes.js";
import { settingsWords } from "../settings_words.js";

const EVERY_MS = 1500;
const PATIENCE_MS = 4000;
const WIDTH = 96;
const HEIGHT = 20;
const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {import("./settings.js").Context} context
 * @returns {import("./settings.js").Section}
 */
export function clusterView({ chat }) {
  const text = settingsWords.cluster;
  const summary = h("p");
  const problem = h("p.problem", { hidden: true });
  const nodes = h("tbody");
  const actors = h("tbody");
  const chosen = h("select", { id: "cluster-node", onchange: () => begin() });
  const cell = (/** @type {string} */ label) => h("th", { scope: "col" }, label);
  const element = h(
    "div.settings-body.wide",
    h("h3", settingsWords.settings.tabs.cluster),
    summary,
    problem,
    h("div.scroll", { tabIndex: 0, role: "group", "aria-label": text.nodes }, h("table", h("caption", text.nodes), h("thead", h("tr", cell(text.node), cell(text.role), cell(text.lag), cell(text.ms), cell(text.disk), cell(text.version))), nodes)),
    h("div.row", h("h3", text.actors), h("label", { htmlFor: "cluster-node" }, text.of), chosen),
    h("p.hint", text.actorsNote),
    h("div.scroll", { tabIndex: 0, role: "group", "aria-label": text.actors }, h("table", h("caption.unseen", text.actors), h("thead", h("tr", cell(text.actor), cell(text.waiting), cell(text.rate), cell(text.time))), actors)),
  );
  let history = new History();
  let stopped = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  function begin() {
    history = new History();
    clearTimeout(timer);
    void look();
  }

  async function look() {
    const asked = history;
    const home = chat.node;
    const [cluster, metrics] = await Promise.all([read(`${home}/api/v1/cluster`, "json"), read(`${chosen.value || home}/metrics`, "text")]);
    if (stopped || asked !== history) return;
    problem.hidden = Boolean(cluster && metrics);
    write(problem, cluster ? text.noMetrics : text.noAnswer);
    if (cluster) {
      // How far each is behind, only the leader knows.
      const leader = list(cluster.nodes).find((node) => node.name === cluster.leader);
      const told = leader && leader.name !== cluster.node ? await read(`${leader.public}/api/v1/cluster`, "json") : null;
      if (stopped || asked !== history) return;
      showNodes(cluster, home, new Map(list((told ?? cluster).nodes).map((node) => [node.name, node.lag])));
    }
    if (metrics) {
      history.add(readMetrics(metrics, performance.now()));
      showActors();
    }
    timer = setTimeout(look, EVERY_MS);
  }

  /**
   * @param {any} cluster
   * @param {string} home
   * @param {Map<string, unknown>} lags
   */
  function showNodes(cluster, home, lags) {
    write(summary, text.summary(String(cluster.node), cluster.leader ?? null, cluster.quorum === true, Number(cluster.term), Number(cluster.at)));
    const rows = list(cluster.nodes);
    keyed(nodes, rows, {
      key: (node) => String(node.name),
      create: () => h("tr", h("th", { scope: "row" }), h("td"), h("td"), h("td"), h("td"), h("td")),
      update(row, node) {
        const disk = node.disk ? `${size(node.disk.free_mb * 1e6)}${node.disk.low ? `, ${text.low}` : ""}` : "–";
        const role = node.up === false ? text.down : (text.roles[/** @type {keyof typeof text.roles} */ (node.role)] ?? String(node.role));
        const cells = [node.name, role, figure(lags.get(node.name), text.entries), node.name === cluster.node ? text.itself : figure(node.ms, text.milliseconds), disk, node.version ?? "–"];
        cells.forEach((what, at) => {
          const into = row.children[at];
          write(into, what);
        });
        set(row, { "data-down": node.up === false || Boolean(node.disk?.low) });
      },
    });
    keyed(chosen, rows, {
      key: (node) => String(node.public),
      create: (node) => h("option", { value: String(node.public) }, String(node.name)),
    });
    if (chosen.value === "" || !chosen.dataset.set) {
      chosen.dataset.set = "yes";
      chosen.value = rows.find((node) => node.public === home)?.public ?? rows[0]?.public ?? "";
    }
  }

  /**
   * @param {unknown} value
   * @param {(value: string) => string} unit
   */
  function figure(value, unit) {
    return typeof value === "number" ? unit(amount(value)) : "–";
  }

  function showActors() {
    keyed(actors, [...history.actors].sort(([a], [b]) => (a < b ? -1 : 1)), {
      key: ([name]) => name,
      create: ([name]) => h("tr", h("th", { scope: "row" }, name.replaceAll("_", " ")), ...[0, 1, 2].map(() => h("td", h("div.spark", sparkline(), h("span"))))),
      update(row, [, { waiting, rate, micros }]) {
        [waiting, rate, micros].forEach((values, at) => {
          const [line, now] = row.children[at + 1].firstElementChild?.children ?? [];
          line.firstElementChild?.setAttribute("points", points(values, WIDTH, HEIGHT - 2));
          const last = values.at(-1);
          const said = last === undefined ? "–" : at === 2 ? text.micros(amount(last)) : amount(last);
          write(now, said);
        });
      },
    });
  }

  void look();
  return {
    element,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** A small line; what it says now stands beside it in figures. */
function sparkline() {
  const svg = document.createElementNS(SVG, "svg");
  set(svg, { viewBox: `0 -1 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, class: "sparkline", "aria-hidden": "true" });
  svg.append(document.createElementNS(SVG, "polyline"));
  return svg;
}

/**
 * @param {string} url
 * @param {"json" | "text"} as
 * @returns {Promise<any>} null when it does not answer
 */
async function read(url, as) {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
    return answer.ok ? await answer[as]() : null;
  } catch {
    return null;
  }
}
