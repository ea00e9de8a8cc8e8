"""Operations are computed: asked for, worked on by any number of workers, stored, and told of."""
