/** Our own icons, drawn on a grid of 16: a path each, stroked in the colour of the text. */

const PATHS = {
  plus: "M8 3.25v9.5M3.25 8h9.5",
  hash: "M6.4 2.75 5 13.25M11 2.75 9.6 13.25M3 5.75h10.5M2.5 10.25H13",
  lock: "M4.25 7.25h7.5v6h-7.5zM5.75 7.25V5a2.25 2.25 0 0 1 4.5 0v2.25",
  people: "M6 7.75a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.75 13.25c.3-2.4 1.9-3.75 4.25-3.75s3.95 1.35 4.25 3.75M10.5 3.1a2.4 2.4 0 0 1 0 4.4M12 9.8c1.3.5 2.1 1.7 2.3 3.45",
  send: "M2.5 13.25 13.75 8 2.5 2.75l1.6 5.25zM4.1 8h4.4",
  smile: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM5.5 9.5c.6 1 1.4 1.5 2.5 1.5s1.9-.5 2.5-1.5M6 6.2v.4M10 6.2v.4",
  reply: "M6.25 3.75 2.5 7.5l3.75 3.75M2.5 7.5h6.75c2.5 0 4.25 1.75 4.25 4.75",
  pencil: "M3 13l.6-2.9 7.2-7.2 2.3 2.3-7.2 7.2zM9.4 4.3l2.3 2.3",
  dots: "M3.4 7.5v1M8 7.5v1M12.6 7.5v1",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.75V8l2.25 1.5",
  alert: "M8 2.5 14.25 13.25H1.75zM8 6.5v3M8 11.4v.1",
  close: "M4 4l8 8M12 4l-8 8",
  menu: "M2.75 4.25h10.5M2.75 8h10.5M2.75 11.75h10.5",
  down: "M8 3v9.5M4 8.75 8 12.75l4-4",
  up: "M8 13V3.5M4 7.25 8 3.25l4 4",
  leave: "M6.5 2.75h-3.5v10.5h3.5M10 5l3 3-3 3M13 8H6.25",
  clip: "M11.75 5.5v5a3.75 3.75 0 0 1-7.5 0V4.75a2.5 2.5 0 0 1 5 0v5.5a1.25 1.25 0 0 1-2.5 0V5.5",
  gear: "M8 10.25a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5zM8 1.75v2M8 12.25v2M1.75 8h2M12.25 8h2M3.6 3.6 5 5M11 11l1.4 1.4M12.4 3.6 11 5M5 11l-1.4 1.4",
  search: "M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.25 10.25l3.5 3.5",
  save: "M8 2.5v7.25M4.75 6.75 8 10l3.25-3.25M2.75 13.25h10.5",
  play: "M5 3l8 5-8 5z",
  picture: "M2.5 3.25h11v9.5h-11zM2.5 11l3.25-3.25L8.5 10.5l2-2 3 3M10.6 6v.1",
  sound: "M5.5 11.5V4l7-1.25v7.5M5.5 11.5a1.75 1.75 0 1 1-3.5 0 1.75 1.75 0 0 1 3.5 0zM12.5 10.25a1.75 1.75 0 1 1-3.5 0 1.75 1.75 0 0 1 3.5 0z",
  server: "M2.75 3h10.5v4H2.75zM2.75 9h10.5v4H2.75zM5 5v.1M5 11v.1",
  bell: "M8 2.25a3.75 3.75 0 0 0-3.75 3.75c0 3.5-1.5 4.75-1.5 4.75h10.5s-1.5-1.25-1.5-4.75A3.75 3.75 0 0 0 8 2.25zM6.75 13.25h2.5",
  bellOff: "M11.75 6A3.75 3.75 0 0 0 5.4 3.3M4.25 6c0 3.5-1.5 4.75-1.5 4.75h8.5M6.75 13.25h2.5M2.5 2.5l11 11",
  plug: "M5.75 2.5v3M10.25 2.5v3M4 5.5h8v2a4 4 0 0 1-8 0zM8 11.5v2.25",
  file: "M4 2.25h5l3 3v8.5H4zM9 2.25v3h3",
};

const SVG = "http://www.w3.org/2000/svg";

/**
 * A picture beside words, or inside a control that has words of its own.
 * @param {keyof typeof PATHS} name
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}
