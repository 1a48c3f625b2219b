package inventory

// A known package had malicious versions.
type known struct {
	versions []string
	advisory string // of GitHub's database
}

// malicious are versions of npm packages that many used, published by thieves or, of
// node-ipc, colors and faker, by an owner who turned on the users. Advisory databases
// have them too; this short list needs none. Source: the advisory of each, which is
// at https://github.com/advisories/.
var malicious = map[string]known{
	"coa":                    {[]string{"2.0.3", "2.0.4", "2.1.1", "2.1.3", "3.0.1", "3.1.3"}, "GHSA-73qr-pfmq-6rp8"},
	"colors":                 {[]string{"1.4.1", "1.4.2", "1.4.44-liberty-2"}, "GHSA-5rqg-jm4f-cqx7"},
	"eslint-config-prettier": {[]string{"8.10.1", "9.1.1", "10.1.6", "10.1.7"}, "GHSA-f29h-pxvx-f335"},
	"eslint-scope":           {[]string{"3.7.2"}, "GHSA-hxxf-q3w9-4xgw"},
	"event-stream":           {[]string{"3.3.6"}, "GHSA-mh6f-8j2x-4483"},
	"faker":                  {[]string{"6.6.6"}, "GHSA-5w9c-rv96-fr7g"},
	"flatmap-stream":         {[]string{"0.1.1"}, "GHSA-9x64-5r7x-2q53"},
	"node-ipc":               {[]string{"10.1.1", "10.1.2"}, "GHSA-97m3-w2cp-4xx6"},
	"rc":                     {[]string{"1.2.9", "1.3.9", "2.3.9"}, "GHSA-g2q5-5433-rhrf"},
	"ua-parser-js":           {[]string{"0.7.29", "0.8.0", "1.0.0"}, "GHSA-pjwm-rvh2-c87w"},
}

// popular are names that thieves imitate: among the most downloaded of npm.
var popular = []string{
	"angular", "async", "axios", "babel-core", "bluebird", "body-parser", "bootstrap", "chalk", "cheerio", "classnames", "commander", "core-js",
	"cross-env", "debug", "dotenv", "electron", "eslint", "express", "fs-extra", "graphql", "handlebars", "inquirer", "jquery", "jsonwebtoken",
	"lodash", "minimist", "mkdirp", "mocha", "moment", "mongodb", "mongoose", "node-fetch", "nodemailer", "nodemon", "passport", "prettier",
	"prop-types", "puppeteer", "react", "react-dom", "redux", "request", "rimraf", "semver", "socket.io", "styled-components", "typescript",
	"underscore", "validator", "webpack", "winston", "yargs",
}

// different are packages of their own right that are one letter from a popular one:
// all that npm served more than 100,000 times in a month, and some whose work is
// another. What is left are mostly slips: loadash, expres, crossenv.
var different = []string{
	"axiom", "bmocha", "dargs", "eclint", "enquirer", "fs.extra", "gaxios", "graphiql", "inquirer2", "jslint", "mkdir", "mkdirp2", "mquery",
	"pargs", "preact", "prettierx", "reactn", "reqwest", "rsync", "semiver", "server", "tslint", "ttypescript", "vargs", "vasync", "wargs",
}
