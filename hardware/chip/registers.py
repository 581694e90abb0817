"""Every register width and limit of a Loihi-class neurocore that the integer semantics rely on.

The widths are those of Lava's bit-accurate CPU models, version 0.10.0; each constant names its
file there. Lava does not enforce most of them: this project does, when a network is built.
"""

# -- membrane and current: lava/proc/lif/models.py, AbstractPyLifModelFixed ------------------------
DECAY_BITS = 12  # du, dv: unsigned; a decay of 4096 forgets everything
DECAY_SCALE = 1 << DECAY_BITS
CURRENT_DECAY_OFFSET = 1  # ds_offset: the current decays by du + 1, the voltage by dv + 0
STATE_BITS = 24  # u and v, signed; u wraps, v saturates
STATE_LIMIT = 1 << (STATE_BITS - 1)
INPUT_SHIFT = 6  # synaptic input and threshold stand 6 bits above the mantissas
THRESHOLD_MANTISSA_MAX = (1 << 17) - 1  # vth: unsigned 17 bits
BIAS_MANTISSA_MAX = (1 << 12) - 1  # bias_mant: signed 13 bits
BIAS_EXPONENT_MAX = (1 << 3) - 1  # bias_exp: unsigned 3 bits

# -- sigma-delta and graded neurons: lava/proc/sdn/models.py, lava/proc/graded/models.py ----------
SCALE_EXPONENT_MAX = (1 << 3) - 1  # spike_exp, state_exp: unsigned 3 bits
SIGMA_BIAS_MAX = (1 << 15) - 1  # bias: signed 16 bits
GRADED_BITS = 24  # sigma, act, payloads and thresholds of graded neurons, signed
GRADED_MAX = (1 << (GRADED_BITS - 1)) - 1
LEVELS_MAX = (1 << 16) - 1  # of an activation sent as one graded spike: unsigned 16 bits

# -- synapses: lava/utils/weightutils.py, lava/proc/conv/utils.py ---------------------------------
WEIGHT_BITS = 8
WEIGHT_MIN = -256  # mixed-sign weights lose their lowest bit: even values in [-256, 254]
WEIGHT_MAX = 254
WEIGHT_STEP = 2
UNSIGNED_WEIGHT_MAX = 255  # weights of one sign keep their lowest bit
WEIGHT_EXPONENT_MIN, WEIGHT_EXPONENT_MAX = -8, 7  # signed 4 bits
CONV_SUM_BITS = 24  # a convolution's sum wraps to signed 24 bits
PAYLOAD_BITS_MAX = 24  # of a graded spike, signed
DELAY_MAX = 62  # 6 bits; lava/lib/dl/netx/utils.py, num_delay_bits

# -- this project's own limits, against files that declare absurd sizes --------------------------
NEURONS_MAX = 1 << 26  # of one population or input; a Loihi 2 has at most 2**20
PADDING_MAX = 1 << 10
