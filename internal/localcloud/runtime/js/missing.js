// Stands for a script that is bound and not deployed (any more).
export default {
  fetch(_request, env) {
    throw new Error(`service binding: script "${env.SERVICE}" is not deployed`);
  },
};
