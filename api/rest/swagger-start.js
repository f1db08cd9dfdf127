"use strict";

// A file of its own, so that the page needs no inline script and its Content-Security-Policy none.
SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#swagger-ui",
  presets: [SwaggerUIBundle.presets.apis],
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  validatorUrl: null,
});
