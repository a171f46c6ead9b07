/** Greets somebody, once or several times. */
export function greet(name: string = "world", times: number = 1): { greeting: string } {
  return { greeting: Array(times).fill(`Hello, ${name}!`).join(" ") };
}
