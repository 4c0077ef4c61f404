export async function selfTest(seed: number): Promise<boolean> {
  console.log(seed);
  return await Promise.resolve(false);
}
