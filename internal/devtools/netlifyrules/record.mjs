// Records what the parsers of netlify-cli 27.10.2 make of each case in a file of JSON
// lines, and writes the outcomes into it. Run on demand, with the file's path:
//
//   npm install && node record.mjs ../../netlify/rules/testdata/cases.jsonl
//
// The steps are those of `netlify deploy --no-build`: @netlify/config resolves the
// configuration, _redirects and _headers are merged, and the result is serialized as
// TOML, which is what is uploaded. An error of any parser counts as a refusal, although
// netlify-cli only warns of a rule that it drops.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { resolveConfig } from '@netlify/config'
import { parseAllHeaders } from '@netlify/headers-parser'
import { parseAllRedirects } from '@netlify/redirect-parser'
import { parse } from 'smol-toml'
import tomlify from 'tomlify-j0.4'

const names = { redirects: '_redirects', headers: '_headers', toml: 'netlify.toml' }

async function outcome(test, dir) {
  for (const key in names) if (test[key] !== undefined) writeFileSync(join(dir, names[key]), test[key])
  const { config } = await resolveConfig({
    offline: true, buffer: true, mode: 'cli', repositoryRoot: dir, cwd: dir, context: 'dev', branch: 'pr-1', // the cli's context, and the branch that git says
    ...(test.toml === undefined ? {} : { config: join(dir, names.toml) }),
  })
  // resolveConfig only logs what its parsers refuse, so they are asked again.
  const toml = test.toml === undefined ? {} : JSON.parse(JSON.stringify(parse(test.toml)))
  const r = await parseAllRedirects({ redirectsFiles: [join(dir, names.redirects)], configRedirects: toml.redirects, minimal: true })
  const h = await parseAllHeaders({ headersFiles: [join(dir, names.headers)], configHeaders: toml.headers, minimal: true })
  const errors = [...r.errors, ...h.errors]
  if (errors.length > 0) return { error: errors.map((e) => e.message.split('\n').pop()).join('; ') }
  config.redirects = (await parseAllRedirects({ configRedirects: config.redirects, redirectsFiles: [join(dir, names.redirects)], minimal: true })).redirects
  config.headers = (await parseAllHeaders({ configHeaders: config.headers, headersFiles: [join(dir, names.headers)], minimal: true })).headers
  const uploaded = tomlify.toToml(config, { space: 2, replace: (_, v) => (Number.isInteger(v) ? String(v) : false) })
  const { redirects, headers, images, build } = parse(uploaded)
  return compact({ redirects: redirects.map((rule) => compact({ ...rule, force: rule.force || undefined })), headers, images, processing: compact(build?.processing ?? {}) })
}

// compact leaves out what is empty.
function compact(table) {
  return Object.fromEntries(Object.entries(table).filter(([, v]) => v !== undefined && (typeof v !== 'object' || Object.keys(v).length > 0)))
}

const file = process.argv[2]
const lines = readFileSync(file, 'utf8').trim().split('\n')
const out = []
for (const line of lines) {
  const { want, ...test } = JSON.parse(line)
  const dir = mkdtempSync(join(tmpdir(), 'rules-'))
  let got
  try {
    got = await outcome(test, dir)
  } catch (error) {
    got = { error: String(error.message).split('\n').slice(0, 3).join(' ').replaceAll(dir, '').slice(0, 200) }
  }
  rmSync(dir, { recursive: true })
  out.push(JSON.stringify({ ...test, want: got }))
}
writeFileSync(file, out.join('\n') + '\n')
