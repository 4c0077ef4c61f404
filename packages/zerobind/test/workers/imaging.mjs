// Does the jobs of test.v1.Imaging, by a class.
export class Imaging {
  resize({ id, width, height }, { batch, number, attempt, signal, timeRemainingMs }) {
    return {
      id,
      pixels: BigInt(width * height),
      worker: [batch, number, attempt, signal.aborted, timeRemainingMs() > 0].join(),
    };
  }

  forget() {
    return undefined;
  }
}

export { Imaging as handler };
