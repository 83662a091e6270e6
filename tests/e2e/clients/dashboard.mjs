// An operator with a browser: opens the dashboard, on a desk by day and on a telephone by night.
//   usage: TOKEN=… node dashboard.mjs URL SCREENSHOT WIDTH (light | dark)
// Prints one JSON line: what the page shows, what it asked of which host, what it complained of.
import puppeteer from "puppeteer-core";

const [url, screenshot, width, scheme] = process.argv.slice(2);
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // As root in a container, where there is no sandbox of its own.
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  const page = await browser.newPage();
  await page.setViewport({ width: Number(width), height: 900 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  const asked = [];
  const complaints = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));

  await page.authenticate({ username: "operator", password: "not the token at all" });
  const stranger = await page.goto(url).then((answer) => answer.status(), () => 0);
  complaints.length = 0;
  await page.authenticate({ username: "operator", password: process.env.TOKEN });
  const opened = await page.goto(url, { waitUntil: "load" });
  await page.waitForSelector("#tiles .tile", { timeout: 20_000 });
  const texts = (selector) => page.$$eval(selector, (all) => all.map((one) => one.textContent));
  const shown = async () => ({
    tiles: await texts("#tiles .tile"),
    legend: await texts("#legend li"),
    // The chart has something on it.
    drawn: await page.$eval("#chart canvas", (canvas) => {
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const colours = new Set();
      for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 255) colours.add(`${data[at]} ${data[at + 1]} ${data[at + 2]}`);
      }
      return colours.size;
    }),
  });
  const day = await shown();
  await page.screenshot({ path: `${screenshot}.png`, fullPage: true });
  await page.click("[data-by=network]");
  await page.click("[data-span='7d']");
  await page.waitForFunction(() => document.querySelector("#tiles").textContent.includes("in 7d"));
  const week = await shown();
  const origin = new URL(url).origin;
  console.log(JSON.stringify({
    stranger,
    status: opened.status(),
    state: await page.$eval("#state", (element) => element.textContent),
    day,
    week,
    recent: await texts("#recent tbody tr"),
    unresolved: await texts("#doubt tbody tr"),
    links: await page.$$eval("#recent a", (all) => all.map((one) => one.href)),
    outcomes: await texts("#outcomes tbody tr"),
    health: await texts("#health tbody tr"),
    overflow: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth),
    elsewhere: asked.filter((one) => !one.startsWith(origin)),
    complaints,
  }));
} finally {
  await browser.close();
}
