// Starts ReDoc. The nonce lets its styles through the page's policy; no script needs one.
const place = document.getElementById("redoc");
const dark = matchMedia("(prefers-color-scheme: dark)");
const fonts = {
  fontFamily: "system-ui, sans-serif",
  headings: { fontFamily: "system-ui, sans-serif" },
  code: { fontFamily: "ui-monospace, monospace" },
};
const darkTheme = {
  colors: {
    primary: { main: "#a5b1ff" },
    success: { main: "#7fd6a2" },
    warning: { main: "#f2c14e" },
    error: { main: "#ffb4ab" },
    gray: { 50: "#1a1e27", 100: "#242a35" },
    text: { primary: "#eceff5", secondary: "#a9b2c3" },
    border: { dark: "#303745", light: "#1a1e27" },
    responses: {
      success: { backgroundColor: "#17382a" },
      error: { backgroundColor: "#43211f" },
      redirect: { color: "#f2c14e", backgroundColor: "#3a3413" },
      info: { color: "#8fd3f0", backgroundColor: "#15313d" },
    },
  },
  schema: { nestedBackground: "#1a1e27", linesColor: "#5b6785" },
  sidebar: { backgroundColor: "#1a1e27", textColor: "#eceff5", activeTextColor: "#c3cbff",
    groupItems: { activeBackgroundColor: "#242a35" }, level1Items: { activeBackgroundColor: "#242a35" } },
  rightPanel: { backgroundColor: "#0b0d11", servers: {
    overlay: { backgroundColor: "#242a35", textColor: "#eceff5" }, url: { backgroundColor: "#12151b" } } },
  codeBlock: { backgroundColor: "#1a1e27" },
  fab: { backgroundColor: "#242a35", color: "#a5b1ff" },
};
const darkCode = { color: "#ffb4ab", backgroundColor: "#242a35" };

function themeOf(isDark) {
  if (!isDark) return { typography: fonts };
  return { ...darkTheme, typography: { ...fonts, code: { ...fonts.code, ...darkCode } } };
}

// ReDoc reads its colours once.
dark.addEventListener("change", () => location.reload());

Redoc.init(
  place.dataset.spec,
  {
    nonce: document.currentScript.nonce,
    showExtensions: ["x-access"],
    hideDownloadButton: false,
    hideSchemaPattern: true,
    maxDisplayedEnumValues: 12, // a button shows the rest, such as all currencies
    theme: themeOf(dark.matches),
  },
  place,
);
