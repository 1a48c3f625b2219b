// The API of the sample preview: it says which commit it is and what it was given.
export const handler = async (event) => ({
  statusCode: 200,
  headers: { "content-type": "application/json", "access-control-allow-origin": process.env.ALLOWED_ORIGIN || "*" },
  body: JSON.stringify({
    status: "ok",
    path: event.path || event.rawPath || "/",
    commit: process.env.COMMIT_SHA,
    pullRequest: process.env.PR_NUMBER,
    table: process.env.TABLE_NAME,
    bucket: process.env.BUCKET_NAME,
  }),
});
