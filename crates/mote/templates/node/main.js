/** Greets somebody, once or several times. */
export function greet(name = "world", times = 1) {
  return { greeting: Array(times).fill(`Hello, ${name}!`).join(" ") };
}
