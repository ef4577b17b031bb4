import { createWorker } from "../../shared/src/worker";
import { download } from "./download";
import type { Env } from "./env.gen";
import { listFiles, removeFile } from "./own";
import { upload, uploadForm } from "./upload";

export default createWorker<"files-svc", Env>("files-svc", {
  "GET /api/files": listFiles,
  "POST /api/files": upload,
  "GET /api/files/:key": download,
  "DELETE /api/files/:key": removeFile,
  "POST /api/upload/direct": upload,
  "POST /v1/files/upload": uploadForm,
});
