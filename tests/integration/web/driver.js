// What the tests use in the page: it keeps what streams give, how they end, and how calls fail.

/** An error as the test sees it. */
function shown(error) {
  const { name, reason, text, field, metadata, retryAfterMs, fromSeq, toSeq, message } = error;
  const numbers = { fromSeq: Number(fromSeq ?? 0), toSeq: Number(toSeq ?? 0) };
  return { name, reason, text, field, metadata, retryAfterMs, message, ...numbers };
}

/** Reads a stream from now on; what was picked of it, and how it failed, can be looked at any time. */
function collect(stream, pick) {
  const kept = { values: [], failure: null };
  (async () => {
    try {
      for await (const value of stream) {
        const picked = pick(value);
        if (picked !== undefined) kept.values.push(picked);
      }
      kept.failure = { name: "ended" };
    } catch (error) {
      kept.failure = shown(error);
    }
  })();
  return kept;
}

/** What a call answered, or how it failed. */
async function attempt(work) {
  try {
    return { answer: await work() };
  } catch (error) {
    return { failure: shown(error) };
  }
}

const seqOf = (report) => Number(report.seq);

/** The best bid, empty when there is none; undefined for what says nothing of it. */
function bidOf({ quote, change }) {
  if (change === undefined) return quote?.bidPx ?? "";
  return change.case === "quote" ? change.value.bidPx : undefined;
}
