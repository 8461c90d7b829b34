"""race_jax.py: JAX's side of the race; race.py starts it with a directory and a setting.

A setting is {"threads", "scan", "data"}:
  scan  how many steps one call of the jitted function does (lax.scan); 1: a call per step
  data  u8: a batch is gathered and converted; f32: the images are converted once, before the race
The state is donated, products stay in full f32, Adam is written out. Read next: race_peer.py.
"""
import functools
import math
import os

import race_peer as peer

BETA1, BETA2, EPS, RATE = 0.9, 0.999, 1e-8, 1e-3


def import_jax(threads):
    """XLA reads its environment when it is first used."""
    os.environ["NPROC"] = os.environ["PJRT_NPROC"] = str(threads)
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    jax.config.update("jax_default_matmul_precision", "highest")
    return jax


jax = import_jax(peer.arguments()[1]["threads"])
jnp = jax.numpy


def linear(x, w, b):
    return x @ w.T + b


def loss_of(p, x, eps):
    h = jax.nn.relu(linear(x, p[0], p[1]))                    # [batch, 400]
    mu, logvar = linear(h, p[2], p[3]), linear(h, p[4], p[5])  # [batch, 20]
    z = mu + jnp.exp(0.5 * logvar) * eps
    y = linear(jax.nn.relu(linear(z, p[6], p[7])), p[8], p[9])  # [batch, 784]
    recon = jnp.sum(jnp.maximum(y, 0) - x * y + jnp.log1p(jnp.exp(-jnp.abs(y))))
    kl = -0.5 * jnp.sum(1 + logvar - mu * mu - jnp.exp(logvar))
    return (recon + kl) / x.shape[0]


def gather(images, index):
    x = images[index]
    return x if x.dtype == jnp.float32 else x.astype(jnp.float32) * (1 / 255)


def one_step(state, images, index, eps):
    p, m, v, t = state
    loss, g = jax.value_and_grad(loss_of)(p, gather(images, index), eps)
    t = t + 1
    scale = -RATE / jnp.expm1(t * math.log(BETA1))  # lr / (1 - beta1^t), without cancellation
    correction = 1 / jnp.sqrt(-jnp.expm1(t * math.log(BETA2)))
    m = [BETA1 * a + (1 - BETA1) * b for a, b in zip(m, g)]
    v = [BETA2 * a + (1 - BETA2) * b * b for a, b in zip(v, g)]
    p = [a - scale * b / (jnp.sqrt(c) * correction + EPS) for a, b, c in zip(p, m, v)]
    return (p, m, v, t), loss


def steps(state, images, index, eps):
    """As many steps as index [steps, batch] has rows: the new state and all losses."""
    if len(index) == 1:
        state, loss = one_step(state, images, index[0], eps[0])
        return state, loss[None]
    return jax.lax.scan(lambda s, a: one_step(s, images, *a), state, (index, eps))


checked_steps = jax.jit(steps, donate_argnums=0)


@functools.partial(jax.jit, donate_argnums=0)
def noisy_steps(state, images, index, key):
    key = jax.random.fold_in(key, state[3].astype(jnp.int32))
    return steps(state, images, index, jax.random.normal(key, (*index.shape, peer.LATENT)))


class Racer:
    def __init__(self, directory, setting):
        self.version = f"jax {jax.__version__}"
        self.scan = setting["scan"]
        self.images = jnp.asarray(peer.read_images(directory))
        if setting["data"] == "f32":
            self.images = self.images.astype(jnp.float32) * (1 / 255)
        self.weights = peer.read_weights(directory)
        self.random = peer.np.random.default_rng(1)
        self.key = jax.random.key(1)
        self.begin()

    def begin(self):
        p = [jnp.array(w) for w in self.weights]
        zeros = [[jnp.zeros_like(w) for w in p] for _ in range(2)]
        self.state = (p, *zeros, jnp.float32(0))

    def check(self, order, noise):
        self.begin()
        losses = []
        for at in range(0, len(order), self.scan):
            part = slice(at, at + self.scan)
            self.state, loss = checked_steps(self.state, self.images, order[part], noise[part])
            losses.extend(loss)
        return losses

    def train(self, wanted):
        done = 0
        while done < wanted:
            order = self.random.permutation(len(self.images)).reshape(-1, peer.BATCH)
            whole = len(order) // self.scan * self.scan
            for at in range(0, min(whole, wanted - done), self.scan):
                index = order[at:at + self.scan]
                self.state, loss = noisy_steps(self.state, self.images, index, self.key)
                done += self.scan
        jax.block_until_ready(self.state)
        return done, float(loss[-1])


peer.serve(Racer)
