// F = (A + B) * C.
export function formula(a, b, c) {
  return (a + b) * c;
}
