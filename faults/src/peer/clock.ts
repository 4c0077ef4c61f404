/** Milliseconds on a clock that all processes of the machine share, and that nobody can set. */
export function sharedMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Resolves after so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The result, or what `late` gives if there is none within so many milliseconds. */
export async function within<T, L>(ms: number, result: Promise<T>, late: () => L): Promise<T | L> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<L>((resolve, reject) => {
    timer = setTimeout(() => {
      try {
        resolve(late());
      } catch (error) {
        reject(error);
      }
    }, ms);
  });
  try {
    return await Promise.race([result, expired]);
  } finally {
    clearTimeout(timer);
  }
}
