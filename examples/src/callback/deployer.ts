import { RpcError, Status, errorDetail } from "zerobind";
import type { OperationContext } from "zerobind";
import { Declined } from "../gen/examples/callback/v1/deploy.pb.ts";
import type { DeployReply, DeployRequest } from "../gen/examples/callback/v1/deploy.pb.ts";
import { Operator } from "../gen/examples/callback/v1/deploy.rpc.ts";
import type { DeployerHandler } from "../gen/examples/callback/v1/deploy.rpc.ts";

const machines = ["north", "south", "west"];

/** Deploys, as far as its caller agrees. */
export const deployer: DeployerHandler = {
  async deploy({ version }: DeployRequest, context: OperationContext): Promise<DeployReply> {
    // A client like any other; its calls go back over the connection that this call came by. They end when this call
    // does: nobody is asked any more once the caller has gone.
    const operator = context.callback(Operator);
    await operator.progress({ text: `${version} is built` });

    const question = `Deploy ${version} to ${machines.length} machines?`;
    const { yes } = await operator.confirm({ text: question }, { timeoutMs: 60_000 });
    if (!yes)
      throw new RpcError(Status.ABORTED, "the operator said no", { details: [errorDetail(Declined, { question })] });

    for (const machine of machines) await operator.progress({ text: `${machine} has ${version}` });
    return { machines };
  },
};
