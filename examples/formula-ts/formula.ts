/** F = (A + B) * C. */
export function formula(a: number, b: number, c: number): number {
  return (a + b) * c;
}
