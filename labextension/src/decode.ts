/** Reads the binary halves of the messages: sections of a snapshot, jobs and states of changes. */

import type { Changes, Section, Snapshot } from "./contract";

export interface Body {
  src: Uint32Array;
  dst: Uint32Array;
  stage: Uint16Array;
  state: Uint8Array;
  names: Uint8Array;
}

/** The bytes of a zlib stream, inflated by the browser itself. */
export async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A copy of the section's bytes in a buffer of its own, so that alignment never matters. */
function copy(body: Uint8Array, [offset, length]: Section): ArrayBuffer {
  if (offset < 0 || offset + length > body.byteLength) {
    throw new RangeError(
      `section [${offset}, ${length}] is outside the ${body.byteLength} bytes of the snapshot`,
    );
  }
  const own = new Uint8Array(length);
  own.set(body.subarray(offset, offset + length));
  return own.buffer;
}

/** The arrays of a snapshot; throws RangeError when lengths disagree with `n` and `m`. */
export function readBody(snapshot: Snapshot, body: Uint8Array): Body {
  const { sections, n, m } = snapshot;
  const read: Body = {
    src: new Uint32Array(copy(body, sections.src)),
    dst: new Uint32Array(copy(body, sections.dst)),
    stage: new Uint16Array(copy(body, sections.stage)),
    state: new Uint8Array(copy(body, sections.state)),
    names: new Uint8Array(copy(body, sections.names)),
  };
  const lengths = [
    read.src.length === m,
    read.dst.length === m,
    read.stage.length === n,
    read.state.length === n,
  ];
  if (lengths.includes(false)) {
    throw new RangeError(`a snapshot of ${n} jobs and ${m} edges has sections of other lengths`);
  }
  return read;
}

/** Calls `set(job, code)` for every change in the buffer; throws RangeError when it is too short. */
export function eachChange(
  changes: Pick<Changes, "form" | "k">,
  bytes: Uint8Array,
  set: (job: number, code: number) => void,
): void {
  const { form, k } = changes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < k; i++) {
    const first = view.getUint32(4 * i, true);
    const count = form === "ranges" ? view.getUint32(4 * (k + i), true) : 1;
    const code = view.getUint8((form === "ranges" ? 8 : 4) * k + i);
    for (let job = first; job < first + count; job++) set(job, code);
  }
}
