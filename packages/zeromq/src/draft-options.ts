/**
 * Options of libzmq that it calls drafts, and that the binding has no names for. The numbers are libzmq's own; a
 * build without drafts refuses them.
 */
const routerNotifyOption = 97;
const notifyConnect = 1;
const disconnectMessageOption = 111;
const hiccupMessageOption = 114;
/** No draft, but the binding hides it from sockets that only receive. */
const sendHighWaterMarkOption = 23;

/** No drafts, but the binding has no names for them on XPUB. */
const subscribeOption = 6;
const unsubscribeOption = 7;

/** The raw setter that every socket of the binding has, although its types hide it. */
interface RawSocket {
  setStringOption(option: number, value: Buffer): void;
  setInt32Option(option: number, value: number): void;
}

/**
 * ROUTER: when a peer is gone, its routing id and this notice arrive as the last of its messages.
 * False: this build cannot do that, and the loss of a peer shows only when nothing can be sent to it.
 */
export function setDisconnectNotice(socket: object, notice: Buffer): boolean {
  return trySet(socket, disconnectMessageOption, notice);
}

/**
 * ROUTER: a connection begins with its routing id and an empty frame, before its messages. False: this build cannot do
 * that.
 */
export function setArrivalNotice(socket: object): boolean {
  try {
    (socket as RawSocket).setInt32Option(routerNotifyOption, notifyConnect);
    return true;
  } catch {
    return false;
  }
}

/**
 * DEALER: when the connection is gone, this notice arrives as the last of its messages; not with inproc.
 * False: this build cannot do that; the event `disconnect` says so too, but may overtake messages.
 */
export function setLossNotice(socket: object, notice: Buffer): boolean {
  return trySet(socket, hiccupMessageOption, notice);
}

/**
 * XPUB with `manual`: whoever sent the message that was received last gets, or gets no more, what begins with a prefix.
 * Nothing happens if its connection is gone.
 */
export function setDelivery(socket: object, prefix: Uint8Array, isOn: boolean): void {
  const bytes = Buffer.from(prefix.buffer, prefix.byteOffset, prefix.byteLength);
  (socket as RawSocket).setStringOption(isOn ? subscribeOption : unsubscribeOption, bytes);
}

/** SUB: what it subscribes to waits to be sent in a queue without limit; of 1,000 in a row the rest would be lost. */
export function setSubscriptionQueue(socket: object): void {
  (socket as RawSocket).setInt32Option(sendHighWaterMarkOption, 0);
}

function trySet(socket: object, option: number, value: Buffer): boolean {
  try {
    (socket as RawSocket).setStringOption(option, value);
    return true;
  } catch {
    return false;
  }
}
