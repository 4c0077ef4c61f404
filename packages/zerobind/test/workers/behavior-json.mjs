// The same handler for messages in JSON form.
import { handler as behavior } from "./behavior.mjs";

export const handler = {
  ...behavior,
  async echo(request, context) {
    const { text } = await behavior.echo({ ...request, delayMs: Number(request.delayMs ?? 0) }, context);
    return { text };
  },
};
