package world

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestClientsHaveTheirPublishedFingerprints holds the clients against FoxIO's list of known
// fingerprints and against what the programs sent when they were recorded.
func TestClientsHaveTheirPublishedFingerprints(t *testing.T) {
	for name, want := range map[string]string{
		"browser": "t13d1516h2_8daaf6152771_e5627efa2ab1", "firefox": "t13d1715h2_5b57614c22b0_3d5424432f57",
		"schannel": "t12d190800_d83cc789557e_7af1ed941c26", "winhttp": "t12d210800_76e208dd3e22_7af1ed941c26",
		"cobalt_strike": "t12d190800_d83cc789557e_16bbda4055b2", "sliver": "t13d190900_9dc949149365_97f8aa674fd9",
		"go": "t13d131100_f57a46bbacb6_ab7e3b40a677", "python": "t13d181100_85036bcba153_d41ae481755e",
		"curl": "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6", "java": "t13d371200_db35923f8641_7c76daad20ec",
	} {
		require.Equal(t, want, TLSClientByName(name).ja4, name)
	}
	require.Equal(t, "9b7dcdf3f997f1fb7b4409c94cb7ef36", GoTLS.ja3)
	require.Equal(t, "93c7d42c0df602fb91589311534831f5", PythonTLS.ja3)
	require.Equal(t, "0149f47eabf9a20d0893e2a44e5a6323", CurlTLS.ja3)
	require.Equal(t, "0a0d72200639a7a39887b9d81a247310", JavaTLS.ja3)
	require.Nil(t, TLSClientByName("none"))
	require.Len(t, tlsClients(), 10)
}
