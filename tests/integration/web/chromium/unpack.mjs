// Writes the files given first as they are when unpacked, into the folder given last.
import { createReadStream, createWriteStream } from "node:fs";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createBrotliDecompress } from "node:zlib";

const files = process.argv.slice(2);
const target = files.pop();
await Promise.all(
  files.map((file) =>
    pipeline(
      createReadStream(file),
      createBrotliDecompress({ chunkSize: 1 << 21 }),
      createWriteStream(join(target, basename(file, ".br"))),
    ),
  ),
);
