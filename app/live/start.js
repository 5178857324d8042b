// The engine that boot.js began to open, for the page.

/** Resolves with what sends messages to the lesson; rejects with an error whose `what` names what is missing. */
export const start = (given) => window.gpt2clsEngine.start(given);
