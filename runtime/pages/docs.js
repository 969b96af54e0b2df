"use strict";

// A stream does not end by itself: the page shows how it begins, and leaves.
const STREAM_SHOWN_MS = 5000;
const STREAM_SHOWN_BYTES = 65536;

async function beginning(url, request) {
  const leaving = new AbortController();
  const response = await fetch(url, { ...request, signal: leaving.signal });
  if (!(response.headers.get("content-type") || "").startsWith("application/x-ndjson")) {
    return response;
  }
  const reader = response.body.getReader();
  const timer = setTimeout(() => leaving.abort(), STREAM_SHOWN_MS);
  const parts = [];
  let size = 0;
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      size += part.value.length;
      if (size > STREAM_SHOWN_BYTES) {
        leaving.abort();
      }
    }
  } catch (error) {
    if (error.name !== "AbortError") {
      throw error;
    }
  } finally {
    clearTimeout(timer);
  }
  const { status, statusText, headers } = response;
  const shown = new Response(new Blob(parts), { status, statusText, headers });
  Object.defineProperty(shown, "url", { value: response.url });
  return shown;
}

window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  defaultModelsExpandDepth: 0,
  // The token stays in this browser until somebody logs out.
  persistAuthorization: true,
  queryConfigEnabled: false,
  validatorUrl: null,
  requestInterceptor: (request) => Object.assign(request, { userFetch: beginning }),
});
