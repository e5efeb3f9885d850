// Starts ReDoc. The nonce lets its styles through the page's policy; no script needs one.
const place = document.getElementById("redoc");

Redoc.init(
  place.dataset.spec,
  {
    nonce: document.currentScript.nonce,
    showExtensions: ["x-access"],
    hideDownloadButton: false,
    theme: {
      typography: {
        fontFamily: "system-ui, sans-serif",
        headings: { fontFamily: "system-ui, sans-serif" },
        code: { fontFamily: "ui-monospace, monospace" },
      },
    },
  },
  place,
);
