import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { Payload } from "../gen/benchmarks/v1/echo.pb.ts";
import { messageOf } from "../subject.ts";
import type { Subject } from "../subject.ts";

const headerBytes = 8;

/** Calls back for each frame (length, id, body) that arrives, however the bytes were cut. */
function onFrames(socket: Socket, take: (frame: Buffer) => void): void {
  let parts: Buffer[] = [];
  let held = 0;
  let wanted = headerBytes;
  socket.setNoDelay(true);
  socket.on("data", (chunk: Buffer) => {
    parts.push(chunk);
    held += chunk.length;
    if (held < wanted) return;
    let rest = parts.length === 1 ? chunk : Buffer.concat(parts);
    for (wanted = headerBytes; rest.length >= headerBytes; rest = rest.subarray(wanted), wanted = headerBytes) {
      wanted = headerBytes + rest.readUInt32LE();
      if (rest.length < wanted) break;
      take(rest.subarray(0, wanted));
    }
    parts = rest.length > 0 ? [rest] : [];
    held = rest.length;
  });
}

/** Node's own sockets with one frame per call: what the machine and the runtime cost without any library. */
export const subject: Subject = {
  async serve() {
    const server = createServer((socket) => onFrames(socket, (frame) => socket.write(frame)));
    await once(server.listen(0, "127.0.0.1"), "listening");
    return { address: String((server.address() as AddressInfo).port) };
  },

  async connect(address) {
    const socket = connect(Number(address), "127.0.0.1");
    const pending = new Map<number, (body: Buffer) => void>();
    let lastId = 0;
    onFrames(socket, (frame) => {
      const id = frame.readUInt32LE(4);
      const settle = pending.get(id);
      pending.delete(id);
      settle?.(frame.subarray(headerBytes));
    });
    const call = (body: Uint8Array): Promise<Buffer> =>
      new Promise((resolve) => {
        const id = ++lastId;
        const frame = Buffer.allocUnsafe(headerBytes + body.length);
        frame.writeUInt32LE(body.length);
        frame.writeUInt32LE(id, 4);
        frame.set(body, headerBytes);
        pending.set(id, resolve);
        socket.write(frame);
      });
    await call(new Uint8Array(1));
    return {
      works(bytes) {
        const body = Payload.encode(messageOf(bytes)).finish();
        return { call: () => call(body) };
      },
    };
  },
};
