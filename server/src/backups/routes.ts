import { backup, backupName } from "@bunting/contracts";
import { z } from "zod";
import { BACKUP } from "../http/examples.ts";
import { type Router, refused, STORAGE_ERRORS } from "../http/route.ts";
import { permits } from "../tokens/permission.ts";
import type { Backups } from "./backups.ts";

const tag = "backups";

export function backupRoutes(router: Router, { backups }: { readonly backups: Backups }): void {
  router.add(
    {
      method: "post",
      path: "/api/v1/backups",
      operationId: "makeBackup",
      tag,
      summary: "Copy the live database into one verified file on the server's disk",
      description:
        "Changes go on meanwhile. The answer comes when the copy is on the disk and has been read back whole: checksums, digest " +
        "and audit chain. The newest three are kept. A backup holds no `secret.key` and no counts of what was served. Only a " +
        "token that is not limited to environments may.",
      access: "back_up",
      success: {
        status: 201,
        description: "The backup.",
        schema: backup,
        example: BACKUP,
        headers: ["Location"],
      },
      errors: ["backup_running", "backup_failed", ...STORAGE_ERRORS],
    },
    async ({ actor }) => {
      const made = await backups.make(actor);
      if (!made.ok) return made;
      return { status: 201, body: made.backup, headers: { Location: `/api/v1/backups/${made.backup.name}` } };
    },
  );

  router.add(
    {
      method: "get",
      path: "/api/v1/backups/{name}",
      operationId: "downloadBackup",
      tag,
      summary: "Download a backup",
      description: "The file as it is. Compare its SHA-256 with the one that was answered when it was made.",
      access: "download_backup",
      params: z.object({ name: backupName }),
      success: { status: 200, description: "A SQLite database.", mediaType: SQLITE },
      errors: ["backup_not_found"],
    },
    ({ actor, params }) => {
      const refusal = permits(actor, "download_backup", "all");
      if (refusal) return { refusal };
      const found = backups.read(params.name);
      if (!found) return refused("backup_not_found", `The server keeps no backup ${params.name}.`);
      const headers = {
        "Content-Type": SQLITE,
        "Content-Length": String(found.bytes),
        "Content-Disposition": `attachment; filename="${params.name}"`,
      };
      return { status: 200, body: found.stream, headers };
    },
  );
}

/** Registered with IANA. */
const SQLITE = "application/vnd.sqlite3";
