import { createWorker } from "../../shared/src/worker";
import { download } from "./download";
import type { Env } from "./env.gen";
import { listFiles, removeFile } from "./own";
import { abortUpload, completeUpload, createUpload, listUploads, putPart, showUpload } from "./resumable";
import { signedDownload, signedUpload, signUrl } from "./signed";
import { upload, uploadForm } from "./upload";

export default createWorker<"files-svc", Env>("files-svc", {
  "GET /api/files": listFiles,
  "POST /api/files": upload,
  "GET /api/files/:key": download,
  "DELETE /api/files/:key": removeFile,
  "POST /api/upload/direct": upload,
  "POST /api/signed": signUrl,
  "GET /api/signed/:key": signedDownload,
  "PUT /api/signed/:key": signedUpload,
  "GET /api/uploads": listUploads,
  "POST /api/uploads": createUpload,
  "GET /api/uploads/:id": showUpload,
  "DELETE /api/uploads/:id": abortUpload,
  "PUT /api/uploads/:id/parts/:number": putPart,
  "POST /api/uploads/:id/complete": completeUpload,
  "POST /v1/files/upload": uploadForm,
});
