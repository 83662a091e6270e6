// A person with a browser: opens a URL, pays by a wallet that really signs, sees the answer.
//   usage: X402_PRIVATE_KEY=0x… node paywall.mjs URL SCREENSHOT [announced | old | none] [refuses]
// Prints one JSON line: what the page said, what it asked of which host, what it complained of.
import puppeteer from "puppeteer-core";
import { privateKeyToAccount } from "viem/accounts";

const [url, screenshot, wallet = "old", mood = "signs"] = process.argv.slice(2);
const account = privateKeyToAccount(process.env.X402_PRIVATE_KEY);
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  // As root in a container, where there is no sandbox of its own.
  args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
});
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 760, height: 900 });
  const asked = [];
  const complaints = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  const signed = [];
  await page.exposeFunction("theWallet", async (method, params) => {
    if (method === "eth_requestAccounts") return [account.address];
    if (method === "eth_chainId") return "0x1";
    if (method === "wallet_switchEthereumChain") return null;
    if (method !== "eth_signTypedData_v4") throw new Error(`the wallet has no ${method}`);
    signed.push(params[1]);
    const { domain, types, primaryType, message } = JSON.parse(params[1]);
    return account.signTypedData({ domain, types, primaryType, message });
  });
  await page.evaluateOnNewDocument((kind, refuses) => {
    if (kind === "none") return;
    const provider = {
      request: ({ method, params }) => {
        if (refuses && method === "eth_signTypedData_v4") {
          return Promise.reject(Object.assign(new Error("User rejected"), { code: 4001 }));
        }
        return window.theWallet(method, params);
      },
    };
    if (kind === "old") {
      window.ethereum = provider;
      return;
    }
    const info = { uuid: "00000000-0000-4000-8000-000000000000", name: "Test Wallet", icon: "" };
    const announce = () =>
      dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: { info, provider } }));
    addEventListener("eip6963:requestProvider", announce);
  }, wallet, mood === "refuses");

  const opened = await page.goto(url, { waitUntil: "load" });
  const text = (id) => page.$eval(id, (element) => element.textContent);
  const told = { what: await text("#what"), price: await text("#price"), said: await text("#said") };
  const buttons = await page.$$eval("#offers button", (all) => all.map((one) => one.textContent));
  await page.screenshot({ path: `${screenshot}-1.png` });
  let said = told.said;
  if (buttons.length > 0) {
    await page.click("#offers button");
    const over = () => {
      const said = document.getElementById("said").textContent;
      return !/Waiting|Sign for|Paying/.test(said) && said !== "";
    };
    await page.waitForFunction(over, { timeout: 20_000 });
    await page.waitForNetworkIdle({ idleTime: 200 });
    said = await text("#said");
  }
  const answer = await page.$eval("#answer", (element) => ({
    image: element.querySelector("img")?.naturalWidth ?? 0,
    text: element.querySelector("pre")?.textContent ?? "",
  }));
  await page.screenshot({ path: `${screenshot}-2.png`, fullPage: true });
  const origin = new URL(url).origin;
  const elsewhere = asked.filter((one) => !one.startsWith(origin) && !one.startsWith("blob:"));
  console.log(JSON.stringify({
    status: opened.status(),
    header: opened.headers()["payment-required"] ?? "",
    policy: opened.headers()["content-security-policy"] ?? "",
    ...told, before: told.said, buttons, said, answer, signed: signed.length, elsewhere, complaints,
    open: await page.$eval("#again", (element) => !element.hidden),
  }));
} finally {
  await browser.close();
}
