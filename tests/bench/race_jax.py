"""race_jax.py: JAX's side of the race; race.py starts it with a directory, a model and a setting.

A setting is {"threads", "scan", "data", "format"}:
  scan    how many steps one call of the jitted function does (lax.scan); 1: a call per step
  data    u8: a batch is gathered and converted; f32: the images are converted once, before the race
  format  NCHW or NHWC: pictures in memory (of a model that has any); kernels are OIHW or HWIO
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


_, MODEL, SETTING = peer.arguments()
jax = import_jax(SETTING["threads"])
jnp, relu = jax.numpy, jax.nn.relu
NHWC = SETTING.get("format") == "NHWC"
LAYOUT = ("NHWC", "HWIO", "NHWC") if NHWC else ("NCHW", "OIHW", "NCHW")


# --- the models -----------------------------------------------------------------------------------
# The weights p of a model have the names of tapir's.

def linear(p, name, x):
    return x @ p[name + ".weight"].T + p[name + ".bias"]


def with_bias(p, name, y):
    b = p[name + ".bias"]
    return y + (b if NHWC else b[:, None, None])


def conv(p, name, x):
    return with_bias(p, name, jax.lax.conv_general_dilated(
        x, p[name + ".weight"], (2, 2), ((1, 1), (1, 1)), dimension_numbers=LAYOUT))


def conv_transpose(p, name, x):
    """JAX pads what it has spread: kernel - 1 - padding."""
    return with_bias(p, name, jax.lax.conv_transpose(
        x, p[name + ".weight"], (2, 2), ((2, 2), (2, 2)), dimension_numbers=LAYOUT,
        transpose_kernel=True))


def stored(w):
    """A weight as this layout has it; kernels come as OIHW."""
    return jnp.array(w.transpose(2, 3, 1, 0) if w.ndim == 4 and NHWC else w)


def flat(h):
    return (h.transpose(0, 3, 1, 2) if NHWC else h).reshape(len(h), -1)


def pictures(h, channels, side):
    h = h.reshape(-1, channels, side, side)
    return h.transpose(0, 2, 3, 1) if NHWC else h


def encode_400(p, x):
    return relu(linear(p, "encoder.0", x))                    # [batch, 400]


def decode_400(p, z):
    return linear(p, "decoder.2", relu(linear(p, "decoder.0", z)))


def encode_conv(p, x):
    h = relu(conv(p, "encoder.conv.0", pictures(x, 1, peer.SIDE)))  # 32 channels of 14x14
    h = relu(conv(p, "encoder.conv.2", h))                         # 64 of 7x7
    return relu(linear(p, "encoder.fc.0", flat(h)))              # [batch, 256]


def decode_conv(p, z):
    h = relu(linear(p, "decoder.fc.2", relu(linear(p, "decoder.fc.0", z))))
    h = relu(conv_transpose(p, "decoder.conv.0", pictures(h, 64, 7)))
    return flat(conv_transpose(p, "decoder.conv.2", h))


ENCODE, DECODE = {"vae-400": (encode_400, decode_400), "vae-conv": (encode_conv, decode_conv)}[MODEL]


def loss_of(p, x, eps):
    h = ENCODE(p, x)
    mu, logvar = linear(p, "mu", h), linear(p, "logvar", h)   # [batch, 20]
    y = DECODE(p, mu + jnp.exp(0.5 * logvar) * eps)           # [batch, 784]
    recon = jnp.sum(jnp.maximum(y, 0) - x * y + jnp.log1p(jnp.exp(-jnp.abs(y))))
    kl = -0.5 * jnp.sum(1 + logvar - mu * mu - jnp.exp(logvar))
    return (recon + kl) / x.shape[0]


# --- a step ---------------------------------------------------------------------------------------

def gather(images, index):
    x = images[index]
    return x if x.dtype == jnp.float32 else x.astype(jnp.float32) * (1 / 255)


def one_step(state, images, index, eps):
    p, m, v, t = state
    loss, g = jax.value_and_grad(loss_of)(p, gather(images, index), eps)
    t = t + 1
    scale = -RATE / jnp.expm1(t * math.log(BETA1))  # lr / (1 - beta1^t), without cancellation
    correction = 1 / jnp.sqrt(-jnp.expm1(t * math.log(BETA2)))
    m = {n: BETA1 * m[n] + (1 - BETA1) * g[n] for n in p}
    v = {n: BETA2 * v[n] + (1 - BETA2) * g[n] * g[n] for n in p}
    p = {n: p[n] - scale * m[n] / (jnp.sqrt(v[n]) * correction + EPS) for n in p}
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
        p = {name: stored(w) for name, w in self.weights.items()}
        zeros = ({name: jnp.zeros_like(w) for name, w in p.items()} for _ in range(2))
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
