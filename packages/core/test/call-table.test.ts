import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { CallTable } from "../src/call-table.ts";

/** Ids as peers choose them: most follow each other, some share the low bits with others, some are anything. */
const ids = fc.oneof(
  fc.nat(200).map((index) => 2 * index + 1),
  fc.nat(64).map((index) => ((index << 20) | 1) >>> 0),
  fc.nat(0xffffffff),
);

test("a table of calls does what a map would do, whatever the ids are", () => {
  const steps = fc.array(fc.tuple(fc.constantFrom("add", "add", "delete", "clear"), ids), { maxLength: 400 });
  fc.assert(
    fc.property(steps, (taken) => {
      const table = new CallTable<{ readonly id: number }>();
      const model = new Map<number, { readonly id: number }>();
      for (const [step, id] of taken) {
        if (step === "delete") expect(table.delete(id)).toBe(model.delete(id));
        else if (step === "clear" && id % 16 === 0) {
          table.clear();
          model.clear();
        } else if (!model.has(id)) {
          const call = { id };
          model.set(id, call);
          table.add(id, call);
        }
        expect(table.get(id)).toBe(model.get(id));
        expect(table.size).toBe(model.size);
      }
      expect(new Set(table.all())).toEqual(new Set(model.values()));
      for (const [id, call] of model) expect(table.get(id)).toBe(call);
    }),
  );
});

test("a table of calls holds more of them than it has slots", () => {
  const table = new CallTable<{ readonly id: number }>();
  const calls = Array.from({ length: 50_000 }, (_, index) => ({ id: 2 * index + 1 }));
  for (const call of calls) table.add(call.id, call);
  expect(table.all()).toHaveLength(calls.length);
  for (const call of calls) expect(table.get(call.id)).toBe(call);
  for (const { id } of calls) expect(table.delete(id)).toBe(true);
  expect([table.size, table.all()]).toEqual([0, []]);
});
