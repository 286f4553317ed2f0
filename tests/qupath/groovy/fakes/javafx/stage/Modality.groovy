package javafx.stage

enum Modality { NONE, APPLICATION_MODAL }
