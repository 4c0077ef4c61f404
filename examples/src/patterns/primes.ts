import type { PrimesHandler } from "../gen/examples/primes/v1/primes.rpc.ts";

/** What each thread of the pool makes one of: plain code that keeps a processor busy. */
export const handler: PrimesHandler = {
  count({ from, to }) {
    let primes = 0;
    for (let number = Math.max(from, 2); number < to; number++) if (isPrime(number)) primes += 1;
    return { primes };
  },
};

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false;
  return true;
}
