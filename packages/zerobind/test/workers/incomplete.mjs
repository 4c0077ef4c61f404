export const handler = { echo: (request) => request };
