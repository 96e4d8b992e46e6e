import { createHash } from "node:crypto";
import { backup as backupSchema } from "@bunting/contracts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerUnderTest, startServerUnderTest } from "../http/server-under-test.ts";

let under: ServerUnderTest;
beforeAll(async () => {
  under = await startServerUnderTest();
});
afterAll(() => under.dispose());

describe("/api/v1/backups", () => {
  it("makes a backup, and gives out the file as it is, also a second time", async () => {
    const made = await under.request("POST", "/api/v1/backups");
    expect(made).toMatchObject({ status: 201 });
    const backup = backupSchema.parse(made.body);
    const location = made.headers.get("location") ?? "";
    expect(location).toBe(`/api/v1/backups/${backup.name}`);

    const head = await under.request("HEAD", location);
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(head.headers.get("content-length")).toBe(String(backup.bytes));
    for (let time = 0; time < 2; time += 1) {
      const headers = { authorization: `Bearer ${under.firstRun.adminToken}` };
      const response = await fetch(under.url + location, { headers });
      const bytes = Buffer.from(await response.arrayBuffer());
      expect(response.headers.get("content-type")).toBe("application/vnd.sqlite3");
      expect(response.headers.get("content-length")).toBe(String(backup.bytes));
      expect(bytes.subarray(0, 15).toString()).toBe("SQLite format 3");
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(backup.sha256);
    }
  });

  it.each(["..%2Fbunting.db", "bunting.db", "bunting-20260101T000000000Z.db.tmp", "%2Fetc%2Fpasswd"])(
    "takes no name of the caller's: %s",
    async (name) => {
      expect(await under.request("GET", `/api/v1/backups/${name}`)).toMatchObject({
        status: 400,
        body: { code: "invalid_request" },
      });
    },
  );
});
