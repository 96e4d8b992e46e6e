import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createNewFile } from "./new-file.ts";

let folder: string;
let target: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "bunting-new-file-"));
  target = path.join(folder, "copy.db");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const begin = (replace = false) => createNewFile(target, { replace, uniqueKey: "one" });

describe("a new file", () => {
  it("has its name only when all of it is there, and only its owner may read it", () => {
    const file = begin();
    file.write(Buffer.from("whole "));
    file.write(Buffer.from("and safe"));
    expect(readdirSync(folder)).toEqual(["copy.db.one.part"]);
    file.keep();
    file.discard();
    expect(readdirSync(folder)).toEqual(["copy.db"]);
    expect(readFileSync(target, "utf8")).toBe("whole and safe");
    expect(statSync(target).mode & 0o777).toBe(0o600);
  });

  it("leaves nothing behind when it is discarded", () => {
    const file = begin();
    file.write(Buffer.from("half"));
    file.discard();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("does not begin where there is one already", () => {
    writeFileSync(target, "precious");
    expect(() => begin()).toThrow("EEXIST");
    expect(readdirSync(folder)).toEqual(["copy.db"]);
  });

  it("does not replace one that came meanwhile", () => {
    const file = begin();
    writeFileSync(target, "precious");
    expect(() => file.keep()).toThrow("EEXIST");
    file.discard();
    expect(readdirSync(folder)).toEqual(["copy.db"]);
    expect(readFileSync(target, "utf8")).toBe("precious");
  });

  it("replaces where it was asked to, and not before the end", () => {
    writeFileSync(target, "old");
    const file = begin(true);
    file.write(Buffer.from("new"));
    expect(readFileSync(target, "utf8")).toBe("old");
    file.keep();
    expect(readFileSync(target, "utf8")).toBe("new");
  });
});
