/* Fractions as [numerator, denominator]. */

const divisor = (a, b) => (b ? divisor(b, a % b) : a);

/** The sum, in its lowest terms. */
export function sum([a, b], [c, d]) {
  const [top, bottom] = [a * d + c * b, b * d];
  const by = divisor(top, bottom);
  return [top / by, bottom / by];
}

/** Whether two fractions are the same number. */
export const same = ([a, b], [c, d]) => b !== 0 && d !== 0 && a * d === c * b;

/** A circle in as many parts as the denominator, the numerator of them filled. */
export function draw(svg, [top, bottom]) {
  const at = (part) => {
    const angle = (2 * Math.PI * part) / bottom - Math.PI / 2;
    return `${50 + 45 * Math.cos(angle)} ${50 + 45 * Math.sin(angle)}`;
  };
  svg.replaceChildren(
    ...Array.from({ length: bottom }, (_none, part) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", `M50 50 L${at(part)} A45 45 0 0 1 ${at(part + 1)} Z`);
      path.setAttribute("fill", part < top ? "#0b3d5c" : "#eef4f8");
      path.setAttribute("stroke", "#16242f");
      return path;
    }),
  );
}
