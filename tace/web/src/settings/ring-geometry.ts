/**
 * Where a node is drawn.
 *
 * @param at its place on the ring, 0 to 1: 0 at the top, clockwise.
 * @param center both coordinates of the ring's middle.
 */
export function pointAt(at: number, center: number, radius: number): { x: number; y: number } {
  const angle = 2 * Math.PI * at;
  return { x: center + radius * Math.sin(angle), y: center - radius * Math.cos(angle) };
}
